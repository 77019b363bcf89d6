import { existsSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ConfigurationError } from '../../errors.ts'
import type { ThreadName } from './messages.ts'

/**
 * The file of a thread. It is not written as `new Worker(new URL(…, import.meta.url))`: webpack rewrites that expression so that it
 * throws at the first claim, in a worker that has already reported that it is ready. Bundlers leave the files behind, too. The file
 * has the extension of this one: .js in the package, .ts where Node runs the source.
 */
export const threadFile = (name: ThreadName): URL => {
  const base = import.meta.url as string | undefined
  const file = base === undefined ? undefined : new URL(`../threads/${name}${extname(base)}`, base)
  if (file !== undefined && existsSync(fileURLToPath(file))) return file
  throw new ConfigurationError(
    `good-job-node is part of a bundle, and the files of its threads are not beside it (${file?.pathname ?? `${name}.js`} is missing): ` +
      `leave good-job-node out of the bundle (external: ['good-job-node']) and install it where the bundle runs`,
  )
}

/** @throws ConfigurationError when a worker could not start its threads */
export const assertThreadFiles = (): void => {
  threadFile('heartbeat-thread')
  threadFile('round-thread')
}
