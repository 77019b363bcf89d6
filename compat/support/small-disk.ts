import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeWith } from './with-tools.ts'

/** A file system of a few megabytes in memory, which only root can make. */
export class SmallDisk implements Disposable {
  readonly path: string

  constructor(megabytes: number) {
    this.path = mkdtempSync(join(tmpdir(), 'good-job-small-disk-'))
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0777`, 'good-job-small-disk', this.path], {
        stdio: 'pipe',
      })
    } catch (error) {
      rmSync(this.path, { recursive: true })
      throw error
    }
  }

  /** Writes until the disk is full. */
  fill(): void {
    const file = openSync(join(this.path, 'filler'), 'a')
    const page = Buffer.alloc(4096)
    try {
      for (;;) writeSync(file, page)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    } finally {
      closeSync(file)
    }
  }

  /** Frees space again. */
  clear(): void {
    rmSync(join(this.path, 'filler'))
  }

  [Symbol.dispose](): void {
    execFileSync('umount', [this.path])
    rmSync(this.path, { recursive: true })
  }
}

/** `describe` for tests with a disk that gets full. */
export const describeWithSmallDisk = describeWith('smallDisk')
