#!/usr/bin/env node
import { nodeComplaint } from './node-version.ts'

const complaint = nodeComplaint()
if (complaint === undefined) {
  // Imported here, after the check: an older Node cannot load this module.
  const { runProgram } = await import('./cli/program.ts')
  process.exitCode = await runProgram(process.argv)
} else {
  process.stderr.write(`error: ${complaint}\n`)
  process.exitCode = 1
}
