// Adds up vitest's JSON reports in the folder given, prints "N passed, N failed" alone on a line, and fails when a suite has
// no report or no test, or when a test failed or was left out. It names them, since a failure is far up in the output.
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

const SUITES = ['test-choice', 'test-rest', 'compat-choice', 'compat-rest', 'versions']
const LINES_OF_A_MESSAGE = 20

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
  for (const file of report.testResults) {
    if (file.status !== 'failed') continue
    // A file that cannot be loaded fails without any test.
    if (file.assertionResults.length === 0) failed += 1
    complaints.push(failure(relative('.', file.name), file.message))
    for (const test of file.assertionResults)
      if (test.status === 'failed') complaints.push(failure(test.fullName, test.failureMessages.join('\n')))
  }
  const skipped = report.testResults.flatMap((file) =>
    file.assertionResults.filter(({ status }) => status !== 'passed' && status !== 'failed'),
  )
  leftOut += skipped.length
  for (const test of skipped) complaints.push(`left out (${test.status}): ${test.fullName}`)
}
for (const complaint of complaints) console.error(complaint)
console.log(`${passed} passed, ${failed} failed${leftOut > 0 ? `, ${leftOut} skipped` : ''}`)
process.exitCode = failed > 0 || complaints.length > 0 ? 1 : 0

function failure(name, message) {
  const lines = message.split('\n').slice(0, LINES_OF_A_MESSAGE)
  return [`failed: ${name}`, ...lines.filter((line) => line !== '').map((line) => `  ${line}`)].join('\n')
}

function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}
