import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { nodeComplaint } from '../src/node-version.ts'

const ROOT = join(import.meta.dirname, '..')

/** Runs this Node with the version number of an older one, set before anything else is loaded. */
const underNode = (version: string, args: string[]) => {
  const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`
  return spawnSync(process.execPath, ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`, ...args], {
    cwd: ROOT,
    encoding: 'utf8',
  })
}

test('the required Node version is that of package.json', () => {
  const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } }
  expect(engines.node).toBe('>=20.19')
  const refused = ['18.20.8', '20.18.3', '12.0.0', '6.17.1']
  const accepted = ['20.19.0', '20.20.2', '21.0.0', '22.12.0', '26.10.0']
  expect([...refused, ...accepted].filter((version) => nodeComplaint(version) !== undefined)).toEqual(refused)
})

test('the command line and the package report the required version on an older Node', () => {
  const cli = underNode('18.20.8', ['dist/cli.js', 'start', './jobs.js'])
  expect(cli.stderr).toMatch(/^error: good-job-node needs Node 20\.19 or later, this is 18\.20\.8 \(.+\)\n$/)
  expect(cli.status).toBe(1)
  const library = underNode('18.20.8', ['--input-type=module', '-e', `await import('${ROOT}/dist/index.js')`])
  expect(library.stderr).toContain('Error: good-job-node needs Node 20.19 or later, this is 18.20.8')
  expect(library.status).toBe(1)
})
