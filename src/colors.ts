import { createColors } from 'picocolors'

const { NO_COLOR, FORCE_COLOR, TERM } = process.env

/** Colours for terminals only. picocolors alone would also colour the output of a CI job or a pipe. */
export const pc = createColors(
  !NO_COLOR && (Boolean(FORCE_COLOR) || (process.stdout.isTTY === true && TERM !== 'dumb')),
)
