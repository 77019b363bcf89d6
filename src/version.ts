import { createRequire } from 'node:module'

/** The version of this package. */
export const VERSION: string = readVersion()

// Not beside a bundle, in which a program that only enqueues may be.
function readVersion(): string {
  try {
    return (createRequire(import.meta.url)('../package.json') as { version: string }).version
  } catch {
    return 'unknown (bundled)'
  }
}
