import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { filesOf } from '../compat/parts.ts'
import { TOOLS, type ToolName } from '../compat/support/tools.js'
import { unitFilesOf } from './parts.ts'

const ROOT = join(import.meta.dirname, '..')
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }

// A machine with Node alone.
let bin: string
beforeAll(() => {
  bin = mkdtempSync(join(tmpdir(), 'good-job-bare-'))
  symlinkSync(process.execPath, join(bin, 'node'))
})
afterAll(() => rmSync(bin, { recursive: true }))

const onBareMachine = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, args, {
    cwd: ROOT,
    encoding: 'utf8',
    env: { PATH: bin, CHROMIUM_PATH: join(bin, 'chromium'), PGBOUNCER_PATH: join(bin, 'pgbouncer'), ...env },
  })

test('the choice of compat/ that npm test runs, and the rest that .ci/run adds, are all of it', () => {
  const [all, choice, rest] = [filesOf('test'), filesOf('choice'), filesOf('rest')]
  expect(choice.include.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  expect([all.exclude, choice.exclude]).toEqual([[], []])
  expect(rest).toEqual({ include: all.include, exclude: choice.include })
  const ci = readFileSync(join(ROOT, '.ci/run'), 'utf8')
  for (const command of ['npm ci', 'npm run demo', 'npm test', 'npm run compat:rest']) expect(ci).toContain(command)
})

test('the unit tests that npm test runs, and the rest that .ci/run adds, are all of them', () => {
  const [all, choice, rest] = [unitFilesOf('test'), unitFilesOf('choice'), unitFilesOf('rest')]
  expect(rest.include.filter((path) => !existsSync(join(ROOT, path.replace(/\*\*.*/, ''))))).toEqual([])
  expect([all.exclude, rest.exclude]).toEqual([[], []])
  expect(choice).toEqual({ include: all.include, exclude: rest.include })
  expect(readFileSync(join(ROOT, '.ci/run'), 'utf8')).toContain('npm run test:rest')
})

test('npm test prints at its start how long it takes, and which command runs the rest', () => {
  expect(scripts.pretest).toBe('node test/announce.js')
  const { stdout } = onBareMachine(['test/announce.js'])
  expect(stdout).toMatch(/^npm test takes about \w+ minutes/)
  for (const [, name = ''] of stdout.matchAll(/npm run ([\w:]+)/g)) expect(scripts).toHaveProperty(name)
  expect(stdout).toMatch(/npm run compat\b.*\.ci\/run/s)
})

test('npm test prints missing programs, the tests skipped for them, and how to install them', () => {
  const { status, stdout } = onBareMachine(['test/announce.js'])
  expect(status).toBe(0)
  for (const { name, shows, install } of Object.values(TOOLS))
    expect(stdout).toContain(`${name} is missing, so these tests are skipped: ${shows}.\n  To run them: ${install}`)
  expect(stdout).toMatch(/^Ruby with Bundler is missing, .*skipped: .*\n {2}To run them: apt-get install ruby/m)
  expect(stdout).toMatch(/^Chromium is missing, .*\n {2}To run them: apt-get install chromium/m)
})

test.each<ToolName>(['ruby', 'chromium', 'pgbouncer', 'pidNamespace', 'smallDisk'])(
  'tests are skipped without %s, but not in continuous integration',
  (tool) => {
    const ask = `import('./compat/support/tools.js').then(({ hasTool }) => console.log(hasTool('${tool}')))`
    expect(onBareMachine(['--eval', ask])).toMatchObject({ status: 0, stdout: 'false\n' })
    const { status, stderr } = onBareMachine(['--eval', ask], { CI: 'true' })
    expect(status).toBe(1)
    expect(stderr).toMatch(/CI skips no test, and these need .*: \S/)
    expect(stderr).toContain(TOOLS[tool].install)
  },
)
