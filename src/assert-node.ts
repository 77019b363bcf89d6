import { nodeComplaint } from './node-version.ts'

const complaint = nodeComplaint()
if (complaint !== undefined) throw new Error(complaint)
