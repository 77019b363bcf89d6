import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ConfigurationError, GoodJobError } from '../errors.ts'

/** The pid file cannot be written, because another process has it, or because the file system refuses. */
export class PidfileError extends GoodJobError {}

/** Two processes that start at the same moment may find the file of a dead process in turn. */
const TRIES = 3

/**
 * Writes the id of this process to a file that must not exist yet, and removes the file when the process exits. The file of a process that
 * no longer runs is replaced. GoodJob 4.23.1 daemon.rb.
 * @returns a function that removes the file now
 * @throws ConfigurationError if the directory is missing; PidfileError if a process with the id in the file runs, or the file cannot be
 * written
 */
export const writePidfile = (path: string): (() => void) => {
  const file = resolve(path)
  assertDirectory(path, dirname(file))
  for (let tries = 1; !create(path, file); tries++) {
    const owner = ownerOf(path, file)
    if (owner !== undefined || tries === TRIES) throw taken(path, owner)
    attempt(path, 'replaced', () => rmSync(file, { force: true }))
  }
  const remove = () => removeOwn(file)
  process.once('exit', remove)
  return () => {
    process.off('exit', remove)
    remove()
  }
}

const assertDirectory = (path: string, folder: string): void => {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return
  throw new ConfigurationError(
    `--pidfile ${path}: the directory ${folder} does not exist; create it, or choose another path`,
  )
}

/** Returns false if the file exists. */
const create = (path: string, file: string): boolean =>
  attempt(path, 'written', () => {
    try {
      writeFileSync(file, `${process.pid}\n`, { flag: 'wx' })
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw error
    }
  })

/** The id in the file, if such a process runs. In a container the dead process often had the same id as this one. */
const ownerOf = (path: string, file: string): number | undefined => {
  const text = attempt(path, 'read', () => readIfExists(file)).trim()
  const pid = /^[1-9]\d*$/.test(text) ? Number(text) : undefined
  return pid === undefined || pid === process.pid || !isRunning(pid) ? undefined : pid
}

const readIfExists = (file: string): string => {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

/** A process of another user may not be signalled, but it runs. */
const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const taken = (path: string, owner: number | undefined): PidfileError =>
  new PidfileError(
    owner === undefined
      ? `--pidfile ${path}: other processes write this file at the same time; give each worker its own file`
      : `--pidfile ${path}: process ${owner} has this file and is running; stop it, or give each worker its own file. If it is ` +
          'no worker, delete the file.',
  )

const attempt = <T>(path: string, verb: string, work: () => T): T => {
  try {
    return work()
  } catch (error) {
    throw new PidfileError(`--pidfile ${path} cannot be ${verb}: ${(error as Error).message}`, { cause: error })
  }
}

/** Another process may have replaced the file. */
const removeOwn = (file: string): void => {
  try {
    if (readFileSync(file, 'utf8').trim() === String(process.pid)) rmSync(file)
  } catch {
    // The file or its directory is gone; nothing is left to remove.
  }
}
