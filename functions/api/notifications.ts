import { listNotices } from '../../core/notifications/notices.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { emcpNotice } from '../http/notice-shapes.ts'
import { api } from './routes.ts'

const PAGE = 20

export const handler = endpoint(api.notifications, async ({ caller, deps, query }) => {
  const limit = Number(query.limit ?? PAGE)
  const { notices, next } = await listNotices(deps, caller.account, { limit, cursor: query.cursor })
  // The link is relative (RFC 8288), because the host of a request cannot be trusted.
  const link = `</api/users/current/notifications?limit=${limit}&cursor=${next}>; rel="next"`
  return reply(200, notices.map(emcpNotice), next === undefined ? {} : { link })
})
