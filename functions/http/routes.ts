import * as z from 'zod/mini'
import { place } from './route.ts'

export const http = place('http', {
  health: {
    routes: ['GET /health'],
    summary: 'Tell that the function answers; it touches nothing else',
    auth: 'public',
    responses: { 200: z.object({ status: z.literal('ok') }) },
    errors: [],
    needs: [],
  },
  openapiDocument: {
    routes: ['GET /openapi.json'],
    summary: 'This document',
    auth: 'public',
    responses: { 200: z.looseObject({ openapi: z.string() }) },
    errors: [],
    needs: [],
  },
})
