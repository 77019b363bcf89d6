import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { ConfigurationError } from '../../src/errors.ts'
import { PidfileError, writePidfile } from '../../src/probe/pidfile.ts'
import { inTurn } from '../support/clean-up.ts'

const folder = mkdtempSync(join(tmpdir(), 'good-job-pidfile-'))
afterAll(inTurn(() => rmSync(folder, { recursive: true })))

let files = 0
const newPath = (content?: string): string => {
  const path = join(folder, `worker-${files++}.pid`)
  if (content !== undefined) writeFileSync(path, content)
  return path
}

/** The id of a process that has ended. */
const deadPid = async (): Promise<number> => {
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  return child.pid ?? 0
}

const refusal = (path: string): unknown => {
  try {
    writePidfile(path)
    return undefined
  } catch (error) {
    return error
  }
}

test('the file holds the id of this process until it is removed', () => {
  const path = newPath()
  const remove = writePidfile(path)
  expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`)
  remove()
  expect(existsSync(path)).toBe(false)
})

test('the file of a running process refuses the start and stays', () => {
  const path = newPath(`${process.ppid}\n`)
  const error = refusal(path)
  expect(error).toBeInstanceOf(PidfileError)
  expect(String(error)).toContain(`--pidfile ${path}: process ${process.ppid} has this file and is running`)
  expect(readFileSync(path, 'utf8')).toBe(`${process.ppid}\n`)
})

test('the file of a process that another user runs refuses the start, too', () => {
  // Process 1 always runs. Only root may signal it.
  expect(String(refusal(newPath('1')))).toContain('process 1 has this file and is running')
})

test.each([
  ['of a process that has ended', async () => String(await deadPid())],
  ['of a container whose process had the same id', async () => String(process.pid)],
  ['without content', async () => ''],
  ['with other content', async () => 'nginx: master'],
  // kill(0) and kill(-1) would signal other processes.
  ['with the id 0', async () => '0'],
  ['with a negative id', async () => '-1'],
  ['with an impossible id', async () => '99999999999999'],
])('a file %s is replaced', async (_, content) => {
  const path = newPath(await content())
  const remove = writePidfile(path)
  expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`)
  remove()
})

test('the file of a successor is not removed', async () => {
  const path = newPath()
  const remove = writePidfile(path)
  writeFileSync(path, '1\n')
  remove()
  expect(readFileSync(path, 'utf8')).toBe('1\n')
})

test('a directory that is missing is refused by name', () => {
  const path = join(folder, 'missing', 'worker.pid')
  const error = refusal(path)
  expect(error).toBeInstanceOf(ConfigurationError)
  expect(String(error)).toContain(
    `--pidfile ${path}: the directory ${join(folder, 'missing')} does not exist; create it`,
  )
})

test('a directory that cannot be written is refused by name', () => {
  // Root may write everywhere but in /proc.
  const isRoot = process.getuid?.() === 0
  const closed = isRoot ? '/proc' : join(folder, 'closed')
  if (!isRoot) {
    mkdirSync(closed)
    chmodSync(closed, 0o500)
  }
  const path = join(closed, 'worker.pid')
  const error = refusal(path)
  expect(error).toBeInstanceOf(PidfileError)
  expect(String(error)).toMatch(new RegExp(`--pidfile ${path} cannot be written: (EACCES|ENOENT)`))
})

test('a path that is a directory is refused by name', () => {
  expect(String(refusal(folder))).toContain(`--pidfile ${folder} cannot be read: EISDIR`)
})
