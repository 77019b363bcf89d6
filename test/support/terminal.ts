import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cleanEnvironment, GOOD_JOB_CLI } from './cli.ts'

/** What a person types once something is on the screen. */
export interface Answer {
  readonly after: RegExp
  readonly type: string
}

/**
 * Runs a command in its own terminal, made by `script` of util-linux or BSD; returns the screen, both streams mixed.
 */
export const runAtTerminal = async (
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  inputs: readonly Answer[],
): Promise<{ code: number | null; screen: string }> => {
  const command = [process.execPath, GOOD_JOB_CLI, ...args]
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
  const script = process.platform === 'darwin' ? ['-q', '/dev/null', ...command] : ['-qefc', quoted, '/dev/null']
  const child = spawn('script', script, { env: { ...cleanEnvironment(), TERM: 'xterm', ...env } })
  let screen = ''
  const left = [...inputs]
  child.stdout.on('data', (chunk: Buffer) => {
    screen += chunk.toString()
    if (left[0]?.after.test(screen)) child.stdin.write(`${left.shift()?.type}\n`)
  })
  await once(child, 'close')
  return { code: child.exitCode, screen }
}
