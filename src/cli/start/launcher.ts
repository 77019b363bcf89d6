import { readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { every } from '../../time.ts'

/** A process that started another one. */
interface Process {
  readonly pid: number
  readonly parent: number
  readonly session: number
  readonly command: readonly string[]
}

/** How long a worker may go on after its launcher has gone. */
const INTERVAL_MS = 1_000
const PACKAGE_MANAGER = /^(npm|npx|pnpm|yarn)\b/
const SHELL = /^(sh|ash|bash|dash|zsh)$/

/**
 * Calls `onGone` when this process was started by npx or `npm run` and that has gone. npm passes a SIGTERM on to its shell alone, and a
 * SIGKILL to nobody: the worker would go on without anybody who knows of it. Not for a worker that was sent into the background
 * (setsid, nohup, `&` with its output elsewhere), whose launcher is meant to end. Linux only, which has /proc.
 * @returns the timer, or undefined when there is no such launcher
 */
export const watchLauncher = (onGone: () => void): NodeJS.Timeout | undefined => {
  const launchers = findLaunchers()
  if (launchers.length === 0) return undefined
  const links = launchers.slice(0, -1)
  const parent = process.ppid
  const timer = every(INTERVAL_MS, () => {
    if (process.ppid === parent && !links.some(hasLostParent)) return
    clearInterval(timer)
    onGone()
  })
  return timer.unref()
}

/** From the parent up to the first package manager that was called, through the shells between them. */
const findLaunchers = (): readonly Process[] => {
  try {
    const own = readProcess(process.pid)
    const chain: Process[] = []
    for (let pid = own.parent; pid > 0; pid = chain.at(-1)?.parent ?? 0) {
      const next = readProcess(pid)
      if (!isPackageManager(next) && !isShell(next)) break
      chain.push(next)
    }
    const launchers = chain.slice(0, chain.findLastIndex(isPackageManager) + 1)
    const isAttached = launchers.every(({ session }) => session === own.session) && hasOutputOf(own.parent)
    return isAttached ? launchers : []
  } catch {
    // No /proc, or one that hides other processes.
    return []
  }
}

/** npm shows as its title, "npm run worker", and for a moment as the script that node runs. */
const isPackageManager = ({ command: [program = '', script = ''] }: Process): boolean =>
  PACKAGE_MANAGER.test(program) || (basename(program) === 'node' && PACKAGE_MANAGER.test(basename(script)))

const isShell = ({ command: [program = '', option] }: Process): boolean =>
  SHELL.test(basename(program)) && option === '-c'

const hasOutputOf = (parent: number): boolean =>
  [0, 1, 2].every((fd) => readlinkSync(`/proc/self/fd/${fd}`) === readlinkSync(`/proc/${parent}/fd/${fd}`))

const hasLostParent = ({ pid, parent }: Process): boolean => {
  try {
    return readProcess(pid).parent !== parent
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}

const readProcess = (pid: number): Process => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name before it may hold anything, also a parenthesis.
  const [, parent, , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  return { pid, parent: Number(parent), session: Number(session), command }
}
