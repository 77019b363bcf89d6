/** The minimal type of a batch, for the parts of this package that only pass it on. */
export interface BatchReference {
  readonly id: string
}

/**
 * The type of `job.batch` for users. The class Batch depends on jobs, so it adds itself here by declaration merging:
 * `declare module '…/job/batch-reference.ts' { interface BatchRegistry { batch: Batch } }`.
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging
export interface BatchRegistry {}

export type JobBatch = BatchRegistry extends { readonly batch: infer B } ? B : BatchReference
