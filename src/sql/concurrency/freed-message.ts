/** The channel on which workers in Node tell each other of free places. Ruby does not listen to it. */
export const NODE_CHANNEL = 'good_job_node'

/** $1 message */
export const NOTIFY_FREED = `SELECT pg_notify('${NODE_CHANNEL}', $1::text)::text AS message`

/** Postgres refuses a payload of 8,000 bytes. */
const MAX_BYTES = 7_900

/** A message about free places. */
export interface FreedPlaces {
  /** The process whose jobs have ended: it knows. */
  readonly processId: string
  /** Undefined: too many to name. */
  readonly claimKeys: readonly string[] | undefined
}

/** The payload about the places of jobs that have ended; empty if none of them had one. */
export const freedMessage = (processId: string, jobs: readonly { readonly claimKeys: readonly string[] }[]): string => {
  const claimKeys = [...new Set(jobs.flatMap((job) => job.claimKeys))]
  if (claimKeys.length === 0) return ''
  const message = JSON.stringify({ process_id: processId, freed: claimKeys })
  return Buffer.byteLength(message) <= MAX_BYTES ? message : JSON.stringify({ process_id: processId })
}

/** Reads such a payload; undefined for any other text. */
export const parseFreed = (text: string): FreedPlaces | undefined => {
  try {
    const { process_id: processId, freed } = JSON.parse(text) as Record<string, unknown>
    if (typeof processId !== 'string') return undefined
    const isList = Array.isArray(freed) && freed.every((key) => typeof key === 'string')
    return { processId, claimKeys: isList ? freed : undefined }
  } catch {
    return undefined
  }
}
