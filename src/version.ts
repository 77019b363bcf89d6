import { createRequire } from 'node:module'

/** The version of this package. */
export const VERSION: string = readVersion()

// A bundled program that only enqueues has no package.json beside it.
function readVersion(): string {
  try {
    return (createRequire(import.meta.url)('../package.json') as { version: string }).version
  } catch {
    return 'unknown (bundled)'
  }
}
