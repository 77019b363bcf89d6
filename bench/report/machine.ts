import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import type { BenchServer } from '../server.ts'

/** The machine and the versions on which the figures were measured. */
export interface Machine {
  readonly date: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly system: string
  /** Program → version. */
  readonly versions: Readonly<Record<string, string>>
  /** Setting of the server → value. */
  readonly settings: Readonly<Record<string, string>>
}

const PEERS = new URL('../peers/', import.meta.url)

export const describeMachine = async (server: BenchServer): Promise<Machine> => ({
  date: new Date().toISOString().slice(0, 10),
  cpu: cpus()[0]?.model ?? '',
  cores: cpus().length,
  memoryGb: Math.round(totalmem() / 2 ** 30),
  system: `${process.platform} ${process.arch}`,
  versions: {
    'good-job-node': packageVersion(new URL('../../package.json', import.meta.url)),
    Node: process.version.slice(1),
    'graphile-worker': packageVersion(new URL('node_modules/graphile-worker/package.json', PEERS)),
    'pg-boss': packageVersion(new URL('node_modules/pg-boss/package.json', PEERS)),
    GoodJob: '4.23.1',
    Rails: '7.2.4',
    Ruby: rubyVersion(),
  },
  settings: await server.settings(),
})

const packageVersion = (url: URL): string => JSON.parse(readFileSync(url, 'utf8')).version

const rubyVersion = (): string => {
  try {
    return execFileSync('ruby', ['-e', 'print RUBY_VERSION']).toString()
  } catch {
    return 'not installed'
  }
}
