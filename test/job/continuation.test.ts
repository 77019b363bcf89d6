import { describe, expect, test } from 'vitest'
import { SerializationError } from '../../src/errors.ts'
import { Job } from '../../src/job/base.ts'
import { jobToText } from '../../src/job/serialization.ts'
import { vectors } from '../support/vectors.ts'
import { eventsDuring, NOW, perform, run, storedAgain, storedJobOf, storedParams } from './fixtures.ts'
import { count, declareJob, progressOf, resumed, stopAfter } from './step-jobs.ts'

describe('the stored progress', () => {
  test('is empty for a new job, and missing for a class without steps [AJ-074]', () => {
    class PlainJob extends Job {
      perform() {}
    }
    const hash = (job: Job) => JSON.parse(jobToText(job, { now: NOW, railsVersion: '8.1' })) as object
    const StepJob = declareJob(() => {})
    expect(hash(new StepJob())).toMatchObject({ continuation: { completed: [] }, resumptions: 0 })
    expect(hash(new PlainJob())).not.toHaveProperty('continuation')
  })

  test('has a current step, with its cursor or null, only while a step is in progress [AJ-074]', async () => {
    const StepJob = declareJob(async (job) => {
      await job.step('one', () => {})
      await job.step('two', (step) => step.checkpoint())
    })
    const between = await perform(new StepJob(), {}, stopAfter(0))
    expect(progressOf(between)).toEqual({ continuation: { completed: ['one'] }, resumptions: 0 })
    const inside = await perform(new StepJob(), {}, stopAfter(1))
    expect(progressOf(inside)).toEqual({ continuation: { completed: ['one'], current: ['two', null] }, resumptions: 0 })
  })

  test.each([{}, null, { completed: [] }])('%j stands for a job that has not begun [AJ-074]', async (continuation) => {
    const log: string[] = []
    const StepJob = declareJob((job) => job.step('one', () => log.push('one')))
    const seen = await eventsDuring(() => run(resumed(new StepJob(), { continuation })))
    expect(log).toEqual(['one'])
    expect(seen.map(({ name }) => name)).not.toContain('resume')
  })

  test.each([42, 'az', [1, 'a', null], null, 2 ** 53, '9007199254740993', true])(
    'with the Ruby cursor %j lets a step resume there, and is stored again unchanged [AJ-083]',
    async (cursor) => {
      const StepJob = declareJob((job) =>
        job.step('import', (step) => {
          expect(step.isResumed).toBe(true)
          step.checkpoint()
        }),
      )
      const attempt = resumed(new StepJob(), {
        continuation: { completed: [], current: ['import', cursor] },
        resumptions: 0,
      })
      const result = await run(attempt, stopAfter(0))
      expect(progressOf(result)).toEqual({
        continuation: { completed: [], current: ['import', cursor] },
        resumptions: 1,
      })
    },
  )

  test.each(['8.1', 'main'] as const)(
    'written by Rails %s lets the job resume at the same place [AJ-083]',
    async (railsVersion) => {
      const written = vectors<{ ruby: string; json: string }[]>(`activejob-jobs-${railsVersion}.json`)
      const { json } = written.find(({ ruby }) => ruby.startsWith('ActiveJob::Base.execute(StepJob')) ?? { json: '' }
      const cursors: unknown[] = []
      const StepJob = declareJob(async (job) => {
        await job.step('one', () => cursors.push('one'))
        await job.step('two', (step) => {
          cursors.push(step.cursor)
          step.advance()
        })
      })
      const attempt = { ...storedJobOf(new StepJob()), serializedParams: json }
      const result = await run(attempt, { railsVersion, ...stopAfter(0) })
      expect(cursors).toEqual([7])
      expect(storedParams(result)).toMatchObject({
        continuation: { completed: ['one'], current: ['two', 8] },
        resumptions: 1,
        exception_executions: JSON.parse(json).exception_executions,
      })
    },
  )

  test('a Float cursor stays a Float and a big Integer an Integer [AJ-083]', async () => {
    const StepJob = declareJob((job) => job.step('import', (step) => step.checkpoint()))
    const attempt = storedJobOf(new StepJob())
    const progress = '"continuation":{"completed":[],"current":["import",[7.0,9007199254740993]]}'
    const serializedParams = attempt.serializedParams.replace('"continuation":{"completed":[]}', progress)
    const result = await run({ ...attempt, serializedParams }, stopAfter(0))
    expect(result.reenqueue?.serializedParams).toContain(progress)
  })

  test('a cursor that Rails 8.1 could not read back throws when it is set [AJ-083]', async () => {
    const StepJob = declareJob((job) => job.step('import', (step) => step.set({ page: new Date() })))
    const result = await perform(new StepJob())
    expect(result).toMatchObject({ outcome: 'unhandled', cause: expect.any(SerializationError) })
  })

  test('a cursor that cannot be stored keeps the previous one: the job resumes there', async () => {
    const StepJob = declareJob((job) =>
      job.step('import', (step) => {
        step.set(41)
        step.set({ page: new Date() })
      }),
    )
    const result = await perform(new StepJob())
    expect(progressOf(result)).toEqual({ continuation: { completed: [], current: ['import', 41] }, resumptions: 0 })
  })

  test('a step does not start with a cursor that cannot be stored, so the retry can be written', async () => {
    const StepJob = declareJob((job) => job.step('import', () => {}, { start: new Map() }))
    StepJob.retryOn(SerializationError, { wait: 60 })
    const result = await perform(new StepJob())
    expect(result).toMatchObject({ outcome: 'retried', cause: expect.any(SerializationError) })
    expect(progressOf(result)).toEqual({ continuation: { completed: [] }, resumptions: 0 })
  })

  test('a cursor for Rails main may be any argument [AJ-083]', async () => {
    const dates: unknown[] = []
    const StepJob = declareJob((job) =>
      job.step('import', (step) => {
        dates.push(step.cursor)
        if (!step.isResumed) step.set({ at: NOW })
      }),
    )
    const main = { railsVersion: 'main' } as const
    const first = await perform(new StepJob(), {}, { ...main, ...stopAfter(0) })
    expect(first.reenqueue?.serializedParams).toContain('ActiveJob::Serializers::TimeSerializer')
    await run(storedAgain(first), main)
    expect(dates).toEqual([null, { at: expect.any(Date) }])
    expect(Number((dates[1] as { at: Date }).at)).toBe(NOW.getTime())
  })
})

describe('an interrupt', () => {
  test('stores step name and cursor, waits five seconds and does not count for retryOn [AJ-075]', async () => {
    const StepJob = declareJob((job) => job.step('import', count(0, 10), { start: 3 }))
    StepJob.retryOn(Error)
    const result = await perform(new StepJob(), {}, stopAfter(2))
    expect(result).toMatchObject({ outcome: 'retried', error: null, errorEvent: null })
    expect(result.reenqueue?.scheduledAt).toEqual(new Date(NOW.getTime() + 5000))
    expect(storedParams(result)).toMatchObject({
      continuation: { completed: [], current: ['import', 6] },
      resumptions: 0,
      executions: 1,
      exception_executions: {},
    })
  })

  test('emits its reason and step, and an enqueue_retry without an error [AJ-075]', async () => {
    const StepJob = declareJob((job) => job.step('import', count(0, 10)))
    const seen = await eventsDuring(() => perform(new StepJob(), {}, stopAfter(0)))
    expect(seen.map(({ name }) => name)).toEqual([
      'perform_start',
      'step_started',
      'interrupt',
      'step',
      'enqueue_at',
      'enqueue_retry',
      'perform',
    ])
    expect(seen[2]?.payload).toMatchObject({ reason: 'stopping', description: "at 'import', cursor '1'" })
    expect(seen[3]?.payload).toMatchObject({ step: 'import', isInterrupted: true })
    expect(seen[5]?.payload).not.toHaveProperty('error')
  })

  test('that user code swallows is thrown again at the next step, and at the end [AJ-075]', async () => {
    const log: string[] = []
    const StepJob = declareJob(async (job) => {
      await job.step('one', (step) => step.checkpoint()).catch(() => log.push('swallowed'))
      await job.step('two', () => log.push('two')).catch(() => log.push('swallowed again'))
    })
    const result = await perform(new StepJob(), {}, stopAfter(0))
    expect(log).toEqual(['swallowed', 'swallowed again'])
    expect(progressOf(result)).toEqual({ continuation: { completed: [], current: ['one', null] }, resumptions: 0 })
  })

  test('does not occur before the first step of an execution or after the last [AJ-076]', async () => {
    const log: string[] = []
    const StepJob = declareJob(async (job) => {
      await job.step('one', () => log.push('one'))
      await job.step('two', () => log.push('two'))
    })
    const always = { stoppingReason: () => 'stopping' as const }
    const first = await perform(new StepJob(), {}, always)
    const second = await run(storedAgain(first), always)
    expect(log).toEqual(['one', 'two'])
    expect(second).toMatchObject({ outcome: 'succeeded', reenqueue: null })
  })

  test('occurs once the signal is aborted if the worker gives no reason', async () => {
    const StepJob = declareJob((job) => job.step('import', count(0, 10)))
    const result = await perform(new StepJob(), {}, { signal: AbortSignal.abort() })
    expect(progressOf(result)).toEqual({ continuation: { completed: [], current: ['import', 1] }, resumptions: 0 })
  })

  test('leads to a resume at the next run, which is counted and emitted [AJ-075, AJ-077]', async () => {
    const log: unknown[] = []
    const StepJob = declareJob(async (job) => {
      await job.step('one', () => log.push('one'))
      await job.step(
        'two',
        (step) => {
          log.push(step.cursor)
          if (!step.isResumed) step.set(8)
        },
        { start: 1 },
      )
    })
    const first = await perform(new StepJob(), {}, stopAfter(1))
    const seen = await eventsDuring(async () => {
      expect(await run(storedAgain(first))).toMatchObject({ outcome: 'succeeded' })
    })
    expect(log).toEqual(['one', 1, 8])
    expect(seen.map(({ name }) => name)).toEqual([
      'perform_start',
      'resume',
      'step_skipped',
      'step_started',
      'step',
      'perform',
    ])
    expect(seen[1]?.payload).toMatchObject({ description: "at 'two', cursor '8'" })
    expect(seen[2]?.payload).toMatchObject({ step: 'one' })
  })
})
