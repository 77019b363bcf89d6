import { pc } from '../colors.ts'
import { JOB_STATES, type JobState } from '../sql/jobs/states.ts'

type Counts = Readonly<Record<JobState, number>>

const LOOKS: Readonly<Record<JobState, { readonly glyph: string; readonly paint: (text: string) => string }>> = {
  succeeded: { glyph: '█', paint: pc.green },
  running: { glyph: '▓', paint: pc.magenta },
  queued: { glyph: '░', paint: pc.blue },
  retried: { glyph: '▒', paint: pc.yellow },
  scheduled: { glyph: '·', paint: pc.cyan },
  discarded: { glyph: '✖', paint: pc.red },
}
const ORDER = Object.keys(LOOKS) as JobState[]

/** The state in its colour. */
export const stateText = (state: JobState): string => LOOKS[state].paint(state)

/** Members by state as one bar. Every state with at least one job gets a cell. */
export const drawBar = (jobs: Counts, width: number): string => {
  const total = JOB_STATES.reduce((sum, state) => sum + jobs[state], 0)
  if (total === 0) return pc.dim('(no jobs)')
  const cells = Math.min(width, total)
  const widths = new Map(
    ORDER.map((state) => [state, jobs[state] === 0 ? 0 : Math.max(1, Math.floor((jobs[state] / total) * cells))]),
  )
  const largest = ORDER.reduce((best, state) => (jobs[state] > jobs[best] ? state : best))
  const used = [...widths.values()].reduce((sum, each) => sum + each, 0)
  widths.set(largest, Math.max(1, (widths.get(largest) ?? 0) + cells - used))
  return ORDER.map((state) => LOOKS[state].paint(LOOKS[state].glyph.repeat(widths.get(state) ?? 0))).join('')
}

/** `5 succeeded, 1 discarded`. */
export const countsText = (jobs: Counts): string =>
  ORDER.flatMap((state) => (jobs[state] > 0 ? [`${jobs[state]} ${stateText(state)}`] : [])).join(', ') || 'no jobs'
