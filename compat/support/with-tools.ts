import { describe } from 'vitest'
import { hasTool, type ToolName } from './tools.js'

/** `describe` for tests that need these tools; skipped, and shown as skipped, where one is missing; failed on a machine of CI. */
export const describeWith = (...tools: ToolName[]) => describe.skipIf(!tools.every(hasTool))
