import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { subjectFaults } from './commit-subject.js'

const ROOT = join(import.meta.dirname, '..')
/** The last commit from before the rule. */
const BEFORE_THE_RULE = '433b449'

const git = (...args: string[]): string =>
  execFileSync('git', ['-c', 'safe.directory=*', ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'ignore'],
  }).toString()

/** Subjects of the commits since the rule; a shallow clone has fewer. */
const subjects = (): string[] => {
  try {
    return git('log', '--no-merges', '--format=%s', `${BEFORE_THE_RULE}..HEAD`).trim().split('\n')
  } catch {
    return git('log', '--no-merges', '--format=%s', '-1').trim().split('\n')
  }
}

test('the subject of each commit is an imperative of at most 72 characters', () => {
  const found = subjects()
  expect(found.length).toBeGreaterThan(0)
  expect(found.flatMap((subject) => subjectFaults(subject).map((fault) => `${subject}: ${fault}`))).toEqual([])
})

test.each([
  ['Let one piece of code page recoverable batches', 0],
  ['Docs: say more', 1],
  ['Added a test', 1],
  ['fix stuff', 1],
  ['Say it.', 1],
  [`Say ${'a'.repeat(72)}`, 1],
])('the hook judges "%s"', (subject, code) => {
  const folder = mkdtempSync(join(tmpdir(), 'good-job-commit-'))
  try {
    const file = join(folder, 'message')
    writeFileSync(file, `${subject}\n\nA body.\n`)
    const { status, stderr } = spawnSync(join(ROOT, '.githooks/commit-msg'), [file], { encoding: 'utf8' })
    expect({ status, isTold: stderr.includes('is refused') }).toEqual({ status: code, isTold: code === 1 })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
