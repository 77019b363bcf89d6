import { execFileSync } from 'node:child_process'
import { copyFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { installTarball } from './packages.ts'

const COMPILER = join(import.meta.dirname, '../../node_modules/typescript/bin/tsc')

let home: string
beforeAll(async () => {
  home = await installTarball()
})
afterAll(() => rm(home, { recursive: true, force: true }))

test('the types of the installed package are complete and strict, without any other package', async () => {
  await copyFile(join(import.meta.dirname, 'consumer.ts.txt'), join(home, 'consumer.ts'))
  const compilerOptions = { target: 'es2022', lib: ['es2022', 'esnext.disposable'], module: 'nodenext', strict: true }
  const options = { ...compilerOptions, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true }
  await writeFile(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['consumer.ts'] }))
  expect(problems(home)).toBe('')
})

const problems = (folder: string): string => {
  try {
    return execFileSync(process.execPath, [COMPILER, '-p', folder], { encoding: 'utf8' })
  } catch (error) {
    return String((error as { stdout?: unknown }).stdout)
  }
}
