import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The folder of an application that has this package installed; disposing of it removes it. */
export interface AppFolder extends AsyncDisposable {
  readonly path: string
}

/** `home` is the built package; `files` are texts by name. */
export const makeAppFolder = async (
  home: string,
  files: Readonly<Record<string, string>>,
  scripts: Readonly<Record<string, string>> = {},
): Promise<AppFolder> => {
  const path = await mkdtemp(join(tmpdir(), 'good-job-app-'))
  await mkdir(join(path, 'node_modules/.bin'), { recursive: true })
  await symlink(home, join(path, 'node_modules/good-job-node'))
  await symlink('../good-job-node/dist/cli.js', join(path, 'node_modules/.bin/good-job'))
  await writeFile(join(path, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module', scripts }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text)
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** A module with a job that takes `ms` milliseconds and prints its start and end. */
export const TIMED_JOBS = `
import { setTimeout as wait } from 'node:timers/promises'
import { Job } from 'good-job-node'

export class TimedJob extends Job {
  async perform(ms) {
    console.log('started', this.jobId)
    await wait(ms)
    console.log('ended', this.jobId)
  }
}
`
