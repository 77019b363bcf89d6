import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/** A hook of Node: loads a .ts file as a module without its types. @type {import('node:module').LoadHook} */
export const load = async (url, context, nextLoad) => {
  if (!/^file:.*\.ts$/.test(url)) return nextLoad(url, context)
  // Few files of tests start a thread.
  const { transform } = await import('rolldown/utils')
  const file = fileURLToPath(url)
  const { code } = await transform(file, await readFile(file, 'utf8'))
  return { format: 'module', source: code, shortCircuit: true }
}
