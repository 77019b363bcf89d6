import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The Rails application of compat/, seen from the top folder. */
export const RAILS = 'compat/rails'

export const RUBY = 'ruby'

const GOOD_JOB_VERSION = '4.23.1'

/** The environment of a process of the Rails application, without what the shell wants of other Ruby programs. */
export const rubyEnvironment = (more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(BUNDLE_GEMFILE|RUBYOPT|RAILS_|GOOD_JOB_|PG)/.test(name),
  )
  return { ...Object.fromEntries(own), GOOD_JOB_VERSION, ...more }
}

/** Whether there is a Ruby; then its gems are installed, once per machine. */
export const prepareRuby = async (): Promise<boolean> => {
  try {
    await run('bundle', ['--version'])
  } catch {
    return false
  }
  await run(RUBY, ['bin/setup'], { cwd: RAILS, env: rubyEnvironment(), maxBuffer: 2 ** 26 })
  return true
}
