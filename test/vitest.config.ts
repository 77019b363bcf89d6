import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { unitFilesOf } from './parts.ts'

const results = process.env.TEST_RESULTS

// biome-ignore lint/style/noDefaultExport: vitest reads the default export
export default defineConfig(({ mode }) => ({
  test: {
    root: new URL('..', import.meta.url).pathname,
    ...unitFilesOf(mode),
    // Where continuous integration counts them.
    reporters: results ? ['default', ['json', { outputFile: `${results}/test-${mode}.json` }]] : ['default'],
    // Many tests wait for a server, a process or a timeout. One file per core would leave cores idle.
    maxWorkers: availableParallelism() + 1,
    // The threads of the source are TypeScript, which Node 20 does not run.
    execArgv: ['--import', new URL('./support/run-typescript.js', import.meta.url).href],
    globalSetup: ['test/support/postgres-setup.ts'],
    // Enough for a busy machine.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
}))
