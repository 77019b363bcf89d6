import { readdir, readFile } from 'node:fs/promises'
import type { Client } from 'pg'

const TICKS_PER_SECOND = 100

interface ProcessTimes {
  readonly parent: number
  /** Its own CPU time, ticks. */
  readonly own: number
  /** CPU time of its children that have ended, ticks. */
  readonly ended: number
}

/** Fields as in proc(5), counted from the state of the process on. */
const readTimes = async (pid: string): Promise<ProcessTimes | undefined> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (stat === undefined) return undefined
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
  const [parent = 0, own = 0, system = 0, ended = 0, endedSystem = 0] = [1, 11, 12, 13, 14].map(
    (index) => fields[index],
  )
  return { parent, own: own + system, ended: ended + endedSystem }
}

/** CPU seconds that the server of this session has used so far, all of its processes; not a number if it runs elsewhere. */
export const serverCpuSeconds = async (client: Client): Promise<number> => {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  const backend = await readTimes(String(rows[0]?.pid))
  if (backend === undefined) return Number.NaN
  const server = await readTimes(String(backend.parent))
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const all = await Promise.all(pids.map(readTimes))
  const children = all.filter((times) => times?.parent === backend.parent)
  const ticks = children.reduce((sum, times) => sum + (times?.own ?? 0), (server?.own ?? 0) + (server?.ended ?? 0))
  return ticks / TICKS_PER_SECOND
}
