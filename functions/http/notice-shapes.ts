import type { Notice } from '../../core/notifications/notices.ts'
import { isoTime } from './time-shapes.ts'

/** EMCP's notification, with an id and a time added. */
export const emcpNotice = ({ id, messageType, message, createdAtMs }: Notice) => ({
  _id: id,
  messageType,
  message,
  createdAt: isoTime(createdAtMs),
})
