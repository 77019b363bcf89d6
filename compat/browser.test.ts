import { stat } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { inTurn } from '../test/support/clean-up.ts'
import { describeWithBrowser, Visitor } from './browser.ts'
import { startNodeWorker } from './node-worker.ts'
import type { RailsApp, RailsWeb } from './rails-app.ts'
import { TestBatch } from './support/batches.ts'
import { bootRails } from './support/rails.ts'

interface Side {
  readonly name: string
  readonly memberClass: string
  startWorker(app: RailsApp): Promise<unknown>
}

const SIDES: readonly Side[] = [
  { name: 'Ruby', memberClass: 'MemberJob', startWorker: (app) => app.startWorker() },
  {
    name: 'Node',
    memberClass: 'Node::MemberJob',
    startWorker: (app) => Promise.all([startNodeWorker(app), app.startWorker()]),
  },
]

describeWithBrowser.each(SIDES)(
  'the dashboard in Chromium with jobs that $name works',
  ({ name, memberClass, startWorker }) => {
    let app: RailsApp
    let web: RailsWeb
    let visitor: Visitor

    beforeAll(async () => {
      app = await bootRails()
      ;[web] = await Promise.all([app.startWeb(), startWorker(app)])
      visitor = await Visitor.arrive(name.toLowerCase())
    })

    afterAll(
      inTurn(
        () => visitor.leave(),
        () => app.stop(),
      ),
    )

    test('links from the jobs to a job, its retry, the processes and the batches', async () => {
      const batch = await TestBatch.enqueue(app, {
        members: [
          { name: 'good', jobClass: memberClass },
          { name: 'bad', jobClass: memberClass, fails: 1 },
        ],
      })
      await batch.settled()
      const { page } = visitor
      const pictures: string[] = []

      await page.goto(`${web.url}/jobs`)
      await visitor.settled()
      await visitor.see(memberClass)
      pictures.push(await visitor.picture('jobs'))

      await visitor.follow(`/jobs/${batch.job('bad')}`)
      await visitor.see(/failed on purpose/)
      pictures.push(await visitor.picture('discarded-job'))

      await page.getByRole('button', { name: 'Retry job' }).click()
      await visitor.see('Job has been retried')
      await batch.untilMember('bad', 'succeeded')
      await page.goto(`${web.url}/jobs/${batch.job('bad')}`)
      await visitor.see('Succeeded')
      pictures.push(await visitor.picture('retried-job'))

      await visitor.go('Processes')
      await visitor.see(/queues=\S+ max_threads=\d+/)
      pictures.push(await visitor.picture('processes'))

      await visitor.go('Batches')
      await visitor.follow(`/batches/${batch.id}`)
      await visitor.see(batch.job('good'))
      pictures.push(await visitor.picture('batch'))

      expect(visitor.errors).toEqual([])
      for (const picture of pictures) expect((await stat(picture)).size).toBeGreaterThan(10_000)
    })
  },
)
