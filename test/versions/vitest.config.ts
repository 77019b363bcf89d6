import { defineConfig } from 'vitest/config'

const results = process.env.TEST_RESULTS

// biome-ignore lint/style/noDefaultExport: vitest reads the default export
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/versions/*.versions.ts'],
    // Where continuous integration counts them.
    reporters: results ? ['default', ['json', { outputFile: `${results}/versions.json` }]] : ['default'],
    globalSetup: ['test/support/postgres-setup.ts'],
    // Each test starts a server or a worker of its own and waits for npm.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 300_000,
  },
})
