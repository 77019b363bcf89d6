import { readFileSync } from 'node:fs'

const SHARED = new URL('../../../shared/', import.meta.url)

/** The parsed content of a vector file that real Rails and GoodJob wrote, by file name. */
export const vectors = <T>(name: string): T => JSON.parse(readFileSync(new URL(`vectors/${name}`, SHARED), 'utf8')) as T
