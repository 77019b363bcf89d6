// This file reports the required Node version, so an older Node must be able to load it: no newer syntax, no imports.

const OLDEST = [20, 19] as const

/** An error text if this Node is too old. `engines` in package.json has the same version, but nothing enforces it. */
export const nodeComplaint = (version: string = process.versions.node): string | undefined => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return undefined
  return `good-job-node needs Node ${OLDEST.join('.')} or later, this is ${version} (${process.execPath})`
}
