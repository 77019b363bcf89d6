import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'good-job-count-'))
afterAll(() => rmSync(folder, { recursive: true }))

type Status = 'passed' | 'failed' | 'skipped' | 'pending' | 'todo'

const report = (statuses: Status[]) => ({
  numPassedTests: statuses.filter((status) => status === 'passed').length,
  numFailedTests: statuses.filter((status) => status === 'failed').length,
  testResults: [
    {
      name: join(process.cwd(), 'test/some.test.ts'),
      message: statuses.length === 0 ? 'no such module' : '',
      status: statuses.includes('failed') || statuses.length === 0 ? 'failed' : 'passed',
      assertionResults: statuses.map((status) => ({
        status,
        fullName: `a ${status} test`,
        failureMessages: status === 'failed' ? ['expected 1 to be 2\n    at some.test.ts:3'] : [],
      })),
    },
  ],
})

const count = (reports: Record<string, unknown>) => {
  const home = join(folder, Math.random().toString(36))
  mkdirSync(home)
  for (const [name, content] of Object.entries(reports))
    writeFileSync(join(home, `${name}.json`), JSON.stringify(content))
  const { status, stdout, stderr } = spawnSync('node', ['.ci/count.mjs', home], { encoding: 'utf8' })
  return { status, stdout: stdout.trim(), stderr: stderr.trim() }
}

const green = {
  'test-choice': report(['passed', 'passed']),
  'test-rest': report(['passed']),
  'compat-choice': report(['passed']),
  'compat-rest': report(['passed']),
  versions: report(['passed']),
}

test('the count adds the suites up', () => {
  expect(count(green)).toEqual({ status: 0, stdout: '6 passed, 0 failed', stderr: '' })
})

test('the count is red for a failed test and says which and why', () => {
  expect(count({ ...green, 'compat-rest': report(['passed', 'failed']) })).toEqual({
    status: 1,
    stdout: '6 passed, 1 failed',
    stderr: 'failed: test/some.test.ts\nfailed: a failed test\n  expected 1 to be 2\n      at some.test.ts:3',
  })
})

test.each(['skipped', 'pending', 'todo'] as const)('the count is red for a %s test and names it', (status) => {
  expect(count({ ...green, 'compat-choice': report(['passed', status]) })).toEqual({
    status: 1,
    stdout: '6 passed, 0 failed, 1 skipped',
    stderr: `left out (${status}): a ${status} test`,
  })
})

test('the count is red for a suite without a report, without a test, and for a file that does not load', () => {
  const { 'compat-choice': _choice, ...noChoice } = green
  expect(count(noChoice)).toMatchObject({
    status: 1,
    stdout: '5 passed, 0 failed',
    stderr: 'no test of compat-choice passed',
  })
  expect(count({ ...green, 'compat-rest': report([]) })).toEqual({
    status: 1,
    stdout: '5 passed, 1 failed',
    stderr: 'no test of compat-rest passed\nfailed: test/some.test.ts\n  no such module',
  })
})
