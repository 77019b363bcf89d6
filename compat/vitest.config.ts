import { defineConfig } from 'vitest/config'
import { filesOf } from './parts.ts'

const results = process.env.TEST_RESULTS

// biome-ignore lint/style/noDefaultExport: vitest reads the default export
export default defineConfig(({ mode }) => ({
  test: {
    root: new URL('..', import.meta.url).pathname,
    ...filesOf(mode),
    // Where continuous integration counts them.
    reporters: results ? ['default', ['json', { outputFile: `${results}/compat-${mode}.json` }]] : ['default'],
    // The threads of the source are TypeScript, which Node 20 does not run.
    execArgv: ['--import', new URL('../test/support/run-typescript.js', import.meta.url).href],
    globalSetup: ['compat/support/setup.ts', 'test/support/postgres-setup.ts'],
    // Each file boots Rails, and several at a time would only take turns on the processors.
    fileParallelism: false,
    testTimeout: 120_000,
    // The first boot on a machine installs the gems.
    hookTimeout: 600_000,
  },
}))
