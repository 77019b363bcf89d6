import { expect, test } from 'vitest'
import { resolveConfiguration } from '../src/configuration.ts'

const codeOf = (warning: unknown) => (warning as { code?: string }).code

test('an unknown GOOD_JOB_ variable leads to one warning with a suggestion', async () => {
  const seen: string[] = []
  const listener = (warning: Error) => {
    if (codeOf(warning) === 'GOOD_JOB_ENVIRONMENT') seen.push(warning.message)
  }
  process.on('warning', listener)
  const env = { GOOD_JOB_THREAD: '7', GOOD_JOB_QUEUE: 'mail' }
  // Variables of Ruby, of the command line, of other programs, and known ones.
  const others = {
    GOOD_JOB_CRON: '{}',
    GOOD_JOB_ENABLE_CRON: '1',
    GOOD_JOB_LOG_LEVEL: 'info',
    GOOD_JOB_TEAM: 'a',
    GOOD_JOB_THREADS: '3',
    GOOD_JOBS: '1',
  }
  for (let time = 0; time < 2; time++) expect(resolveConfiguration({}, { ...env, ...others }).threads).toBe(3)
  // Warnings are emitted in the order in which they were made.
  await new Promise<void>((resolve) => {
    process.on('warning', (warning) => codeOf(warning) === 'GOOD_JOB_TEST' && resolve())
    process.emitWarning('the last one', { code: 'GOOD_JOB_TEST' })
  })
  process.off('warning', listener)
  expect(seen).toEqual([
    'GOOD_JOB_THREAD is not a known variable; did you mean GOOD_JOB_THREADS?',
    'GOOD_JOB_QUEUE is not a known variable; did you mean GOOD_JOB_QUEUES?',
  ])
})
