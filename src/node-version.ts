// No syntax and no import here that an older Node does not know: this file is to say which one is needed.

const OLDEST = [20, 19] as const

/** Which Node is needed, when this one is too old; package.json says the same (engines), but nothing enforces that. */
export const nodeComplaint = (version: string = process.versions.node): string | undefined => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return undefined
  return `good-job-node needs Node ${OLDEST.join('.')} or later, this is ${version} (${process.execPath})`
}
