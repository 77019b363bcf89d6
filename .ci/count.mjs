// Adds up vitest's JSON reports in the folder given, prints "N passed, N failed" alone on a line, and fails when a suite has
// no report or no test, or when a test failed or was left out.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const SUITES = ['test', 'versions', 'compat']

const folder = process.argv[2] ?? '.'
let passed = 0
let failed = 0
let leftOut = 0
const complaints = []
for (const suite of SUITES) {
  const report = read(join(folder, `${suite}.json`))
  if (report === undefined || report.numPassedTests === 0) complaints.push(`no test of ${suite} passed`)
  if (report === undefined) continue
  passed += report.numPassedTests
  failed += report.numFailedTests
  // A file that cannot be loaded fails without any test.
  failed += report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length
  const skipped = report.testResults.flatMap((file) =>
    file.assertionResults.filter(({ status }) => status !== 'passed' && status !== 'failed'),
  )
  leftOut += skipped.length
  for (const test of skipped) complaints.push(`left out (${test.status}): ${test.fullName}`)
}
for (const complaint of complaints) console.error(complaint)
console.log(`${passed} passed, ${failed} failed${leftOut > 0 ? `, ${leftOut} skipped` : ''}`)
process.exitCode = failed > 0 || complaints.length > 0 ? 1 : 0

function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}
