import { createColors } from 'picocolors'

const { NO_COLOR, FORCE_COLOR, TERM } = process.env

/** Colours for a person at a terminal; picocolors by itself also colours what a CI job or a pipe reads. */
export const pc = createColors(
  !NO_COLOR && (Boolean(FORCE_COLOR) || (process.stdout.isTTY === true && TERM !== 'dumb')),
)
