/** The local stack in a process of its own, so that it and what is measured do not share a thread. */
import { startServer } from '../local/server.ts'

const { url, env } = await startServer({ port: 0, schedule: true, reload: false, quiet: true })
process.send?.({ url, env })
process.once('disconnect', () => process.exit())
