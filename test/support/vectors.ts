import { readFileSync } from 'node:fs'

/** The parsed content of a file of test/vectors/, which real Rails and GoodJob wrote. */
export const vectors = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8')) as T
