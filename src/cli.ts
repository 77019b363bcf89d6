#!/usr/bin/env node
import { nodeComplaint } from './node-version.ts'

const complaint = nodeComplaint()
if (complaint === undefined) {
  // An older Node does not even load this.
  const { runProgram } = await import('./cli/program.ts')
  process.exitCode = await runProgram(process.argv)
} else {
  process.stderr.write(`error: ${complaint}\n`)
  process.exitCode = 1
}
