import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Adapter } from '../dist/index.js'
import { vectors } from '../test/support/vectors.ts'
import { startNodeWorker } from './node-worker.ts'
import type { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { bootRails } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

interface Vector {
  /** A Ruby expression. */
  readonly ruby: string
  /** Active Job refuses the value. */
  readonly error?: string
}

/** Postgres cannot keep a NUL in jsonb, so that Rails itself cannot enqueue the value. */
const WITH_NUL = '"a\\u0000b"'

const SERIALIZABLE = vectors<Vector[]>('activejob-vectors-7.2.json').flatMap(({ ruby, error }) => (error ? [] : [ruby]))
const EXPRESSIONS = SERIALIZABLE.filter((ruby) => ruby !== WITH_NUL)

/** Returns the expressions whose values could not be enqueued. */
const enqueueAll = (jobClass: string) => `
  args[:expressions].reject do |ruby|
    ${jobClass}.perform_later(VectorValues.evaluate(ruby), ruby)
  rescue ActiveRecord::StatementInvalid
    false
  end`

/** The description of a value by Ruby. */
interface Description {
  readonly class: string
  readonly inspect: string
  readonly serialized: string
}

interface Route {
  readonly name: string
  /** The job that gets the value first; the last one is always Ruby's EchoJob. */
  readonly jobClass: string
  /** What happens to the jobs before a worker runs them. */
  meanwhile?(app: RailsApp): Promise<void>
  startWorkers(app: RailsApp): Promise<unknown>
}

/** Every job is discarded in Ruby and retried in Node, which writes its row anew. Unknown keys are kept. */
const retryInNode = async (app: RailsApp): Promise<void> => {
  const adapter = new Adapter({ databaseUrl: app.databaseUrl })
  const unknown = { kept: [1.5, { deep: null }] }
  await app.pool.query('UPDATE good_jobs SET serialized_params = serialized_params || $1', [{ unknown }])
  const ids = await app.run<string[]>(`GoodJob::Job.all.map { |job| job.discard_job('to be retried'); job.id }`)
  await Promise.all(ids.map((id) => adapter.retryJob(id)))
  await adapter.close()
  const { rows } = await app.pool.query<{ unknown: unknown; executions: number }>(
    `SELECT serialized_params -> 'unknown' AS unknown, (serialized_params -> 'executions')::integer AS executions FROM good_jobs`,
  )
  expect(rows).toEqual(ids.map(() => ({ unknown, executions: 1 })))
}

const ROUTES: readonly Route[] = [
  { name: 'from Ruby to Ruby', jobClass: 'EchoJob', startWorkers: (app) => app.startWorker() },
  {
    name: 'from Ruby through Node to Ruby',
    jobClass: 'Node::EchoJob',
    startWorkers: (app) => Promise.all([app.startWorker(), startNodeWorker(app)]),
  },
  {
    name: 'from Ruby, retried by Node, to Ruby',
    jobClass: 'EchoJob',
    meanwhile: retryInNode,
    startWorkers: (app) => app.startWorker(),
  },
]

describeWithRuby('arguments of a job', () => {
  describe.each(ROUTES)('$name', ({ jobClass, meanwhile, startWorkers }) => {
    let app: RailsApp
    let refused: string[]
    const arrived = new Map<string, { readonly expected: Description; readonly received: Description }>()

    beforeAll(async () => {
      app = await bootRails()
      refused = await app.run(enqueueAll(jobClass), { expressions: SERIALIZABLE })
      await meanwhile?.(app)
      await startWorkers(app)
      const events = await eventually('every value has arrived, or its job has failed', async () => {
        const open = await app.pool.query('SELECT FROM good_jobs WHERE finished_at IS NULL LIMIT 1')
        return open.rowCount === 0 && (await app.events('echo'))
      })
      for (const { payload } of events) {
        const { expression, expected, received } = payload as unknown as Record<
          'expected' | 'received',
          Description
        > & {
          readonly expression: string
        }
        arrived.set(expression, { expected, received })
      }
    })

    afterAll(() => app.stop())

    test('are refused by Postgres if they contain a NUL', () => {
      expect(refused).toEqual([WITH_NUL])
    })

    test.each(EXPRESSIONS)('%s arrives unchanged', (expression) => {
      const values = arrived.get(expression)
      expect(values).toBeDefined()
      expect(values?.received).toEqual(values?.expected)
    })
  })
})
