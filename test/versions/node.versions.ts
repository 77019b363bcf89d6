import { execFileSync } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDatabase } from '../support/postgres.ts'
import { downloadPackage, installTarball, runSmoke, SMOKE_RESULT } from './packages.ts'

/** The oldest that package.json allows, and the newest of each line. */
const NODE_VERSIONS = ['20.19.0', '20.20.2', '22.23.3', '24.21.0', '26.10.0']

let home: string
beforeAll(async () => {
  home = await installTarball()
})
afterAll(() => rm(home, { recursive: true, force: true }))

test.each(NODE_VERSIONS)('the package works on Node %s', async (version) => {
  const node = join(await downloadPackage(`node-${process.platform}-${process.arch}`, version), 'bin/node')
  expect(execFileSync(node, ['--version']).toString().trim()).toBe(`v${version}`)
  const database = await createDatabase({ template: 'empty' })
  try {
    expect(await runSmoke(node, home, database.url)).toEqual({ ...SMOKE_RESULT, node: `v${version}` })
  } finally {
    await database.drop()
  }
})
