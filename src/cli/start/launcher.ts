import { readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { every } from '../../time.ts'

/** A process on the way from this process up to its launcher. */
interface Process {
  readonly pid: number
  readonly parent: number
  readonly session: number
  readonly command: readonly string[]
}

/** How long a worker may continue after its launcher is gone. */
const INTERVAL_MS = 1_000
const PACKAGE_MANAGER = /^(npm|npx|pnpm|yarn)\b/
const SHELL = /^(sh|ash|bash|dash|zsh)$/

/**
 * Calls `onGone` when this process was started by npx or `npm run` and that launcher is gone. npm passes SIGTERM only to its shell, and it
 * cannot pass on SIGKILL: the worker would continue unnoticed. A worker sent to the background (setsid, nohup, `&` with redirected output)
 * is not watched, because its launcher is meant to end. Linux only, because it needs /proc.
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

/** The processes from the parent up to the first package manager, including the shells between them. */
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
    // /proc is missing or hides other processes.
    return []
  }
}

/** npm's title is "npm run worker"; for a moment after its start it is the script that node runs. */
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
  // The process name before it may contain any character, including a parenthesis.
  const [, parent, , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  return { pid, parent: Number(parent), session: Number(session), command }
}
