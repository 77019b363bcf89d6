import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseQueueString } from '../../src/claim/queue-string.ts'
import { queueWarnings } from '../../src/cli/doctor/queue-warnings.ts'
import { Job } from '../../src/index.ts'
import { runCli } from '../support/cli.ts'

class MailJob extends Job {
  static override queueAs = 'mail'
  perform(): void {}
}

class AnywhereJob extends Job {
  static override queueAs = () => 'elsewhere'
  perform(): void {}
}

const warningsOf = (text: string, ...jobs: Parameters<typeof queueWarnings>[2]) =>
  queueWarnings(text, parseQueueString(text, 5), jobs)

test.each<[string, RegExp[]]>([
  ['mail', []],
  ['*', []],
  ['-slow', []],
  ['+mail:2;*', []],
  ['mail slow', [/"mail slow" is one queue with a space in its name; commas separate queues/]],
  ['mail:', [/no number after ":" in "mail:"/]],
  ['mail:;*:2', [/no number after ":" in "mail:"/]],
  ['mial', [/no class of this worker has the queue "mial" \(queueAs\); they have "mail"/]],
])('the queue string %j', (text, expected) => {
  const warnings = warningsOf(text, MailJob)
  expect(warnings).toHaveLength(expected.length)
  for (const [index, pattern] of expected.entries()) expect(warnings[index]).toMatch(pattern)
})

test('a class with a queue function may use any queue', () => {
  expect(warningsOf('mial', MailJob, AnywhereJob)).toEqual([])
})

test('start logs the warnings before it connects', async () => {
  const module = join(import.meta.dirname, '../fixtures/jobs/worker-jobs.mjs')
  const options = ['--queues', 'mail slow', '--connect-timeout', '0.1']
  const { code, stderr } = await runCli(['start', module, ...options], {
    env: { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' },
  })
  expect(stderr).toMatch(
    /"warn".*queues: \\"mail slow\\" is one queue with a space in its name; commas separate queues/,
  )
  expect(code).toBe(1)
})
