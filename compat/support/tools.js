import { execFileSync } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * @typedef {object} Tool
 * @property {string} name
 * @property {string} shows what is skipped without it
 * @property {string} install
 * @property {() => void} probe throws where it is missing
 */

export const CHROMIUM = process.env.CHROMIUM_PATH || '/usr/bin/chromium'

export const PGBOUNCER = process.env.PGBOUNCER_PATH || 'pgbouncer'

/** Debian keeps PgBouncer in a folder that only root searches. */
export const PGBOUNCER_ENV = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }

/** What compat/ needs of a machine beside Node. */
export const TOOLS = /** @satisfies {Record<string, Tool>} */ ({
  ruby: {
    name: 'Ruby with Bundler',
    shows: 'everything beside the real GoodJob',
    install: 'apt-get install ruby ruby-dev bundler build-essential, or brew install ruby',
    probe: () => run('bundle', ['--version']),
  },
  chromium: {
    name: 'Chromium',
    shows: 'the dashboard in a browser',
    install: 'apt-get install chromium, or CHROMIUM_PATH=/path/of/chromium',
    probe: () => accessSync(CHROMIUM, constants.X_OK),
  },
  pgbouncer: {
    name: 'PgBouncer',
    shows: 'workers behind a pooler',
    install: 'apt-get install pgbouncer, brew install pgbouncer, or PGBOUNCER_PATH=/path/of/pgbouncer',
    probe: () => run(PGBOUNCER, ['--version'], PGBOUNCER_ENV),
  },
  pidNamespace: {
    name: 'A PID namespace',
    shows: 'a worker as the first process of a container',
    install: 'run the tests as root on Linux, in a container with CAP_SYS_ADMIN',
    probe: () => run('unshare', ['--pid', '--fork', '--mount-proc', 'true']),
  },
  smallDisk: {
    name: 'A mount of a small disk',
    shows: 'outcomes on a full disk',
    install: 'run the tests as root on Linux, in a container with CAP_SYS_ADMIN',
    probe: mountAndUnmount,
  },
})

/** @typedef {keyof typeof TOOLS} ToolName */

/**
 * Whether the machine has a tool. On a machine of CI it must: there a skip is a failure.
 * @param {ToolName} name
 */
export const hasTool = (name) => {
  const tool = TOOLS[name]
  try {
    tool.probe()
    return true
  } catch (error) {
    if (process.env.CI === 'true')
      throw new Error(`CI skips no test, and these need ${tool.name}: ${tool.install}`, { cause: error })
    return false
  }
}

/** Prints missing tools, the tests skipped for them and how to install them; nothing if all exist. */
export const missingTools = () =>
  Object.values(TOOLS)
    .filter(({ probe }) => !succeeds(probe))
    .map(
      ({ name, shows, install }) =>
        `${name} is missing, so these tests are skipped: ${shows}.\n  To run them: ${install}`,
    )
    .join('\n')

/** @param {() => void} probe */
function succeeds(probe) {
  try {
    probe()
    return true
  } catch {
    return false
  }
}

/** @param {string} command @param {string[]} args @param {NodeJS.ProcessEnv} [env] */
function run(command, args, env = process.env) {
  execFileSync(command, args, { env, stdio: 'ignore' })
}

function mountAndUnmount() {
  const path = mkdtempSync(join(tmpdir(), 'good-job-small-disk-'))
  try {
    run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'good-job-small-disk', path])
    run('umount', [path])
  } finally {
    rmdirSync(path)
  }
}
