import { defineConfig } from 'vitest/config'

const results = process.env.TEST_RESULTS

// biome-ignore lint/style/noDefaultExport: vitest reads the default export
export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['compat/**/*.test.ts'],
    // Where continuous integration counts them.
    reporters: results ? ['default', ['json', { outputFile: `${results}/compat.json` }]] : ['default'],
    globalSetup: ['compat/support/setup.ts', 'test/support/postgres-setup.ts'],
    // Each file boots Rails, and several at a time would only take turns on the processors.
    fileParallelism: false,
    testTimeout: 120_000,
    // The first boot on a machine installs the gems.
    hookTimeout: 600_000,
  },
})
