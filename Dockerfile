# SPDX-License-Identifier: Apache-2.0
# The one image of entry, logic, extlogic, migrate and operator: docker build -t REGISTRY/imcluster:TAG .
# `node scripts/cluster/main.ts images` builds the same layout without Docker.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
COPY client/package.json client/
# The optional package is Node itself, which the base image has.
RUN npm ci --ignore-scripts --omit=dev --omit=optional --no-audit --no-fund

FROM ${NODE_IMAGE} AS demo
WORKDIR /app
COPY package.json package-lock.json ./
COPY client/package.json client/
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY lib lib
COPY proto proto
COPY client client
COPY examples examples
RUN node examples/chat/build.ts /demo

FROM ${NODE_IMAGE}
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json LICENSE ./
COPY client/package.json client/
COPY client/src client/src
COPY lib lib
COPY proto proto
COPY gateway gateway
COPY logic logic
COPY operator operator
COPY probe probe
COPY --from=demo /demo demo
ENV NODE_ENV=production \
    NODE_COMPILE_CACHE=/app/.compile-cache \
    HOME=/tmp
# Each program loads all its modules, then stops for want of configuration; what it compiled on the way stays. Started
# from this cache, a program is up in about a quarter of the time. The root file system may be read-only later.
RUN for program in gateway/main.ts logic/logic.ts logic/extlogic.ts logic/migrate.ts operator/main.ts probe/main.ts; do \
      IM_POSTGRES_URL= IM_REDIS_URL= timeout 10 node "$program" > /dev/null 2>&1 || true; \
    done
USER 65532:65532
CMD ["node"]
LABEL org.opencontainers.image.title="imcluster" \
      org.opencontainers.image.licenses="Apache-2.0"
